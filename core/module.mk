# SPDX-License-Identifier: MIT
# The inference core: one process per plan, over libllama. The only folder that sees the engine.
core.uses     := base
core.lib      := enginelog.c device.c account.c utf8.c event.c measure.c probs.c request.c slots.c textout.c
core.programs := core
core.core.src := main.c engine.c backends.c generate.c control.c page.c timing.c tiny.c \
	batch.c batch_slot.c batch_step.c
core.core.engine := 1
