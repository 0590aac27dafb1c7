# SPDX-License-Identifier: MIT
# The inference core: one process per plan, over libllama. The only folder that sees the engine.
core.uses     := base
core.lib      := adapters.c enginelog.c device.c account.c energy.c page.c utf8.c event.c measure.c probs.c request.c slots.c spec.c textout.c
# HTTP: only server.c sees the library.
core.lib += admit.c bytes.c call.c conns.c grammar.c guard.c metrics.c peer.c query.c query_ollama.c query_openai.c reply.c reply_model.c reply_ollama.c \
	reply_openai.c routes.c schema.c schema_keys.c schema_kinds.c schema_number.c schema_pattern.c \
	serve.c server.c tell.c
core.pkgs := libmicrohttpd
# An installed llama-server in place of our core
core.lib += relay.c scrape.c serverargs.c serverlog.c
core.programs := core-llama-server core
core.core-llama-server.src := llama_server.c control.c
core.core.src := main.c options.c run.c ask.c generate.c control.c timing.c tiny.c \
	engine.c bounded.c engine_compute.c engine_draw.c engine_load.c engine_model.c backends.c steer.c \
	batch.c batch_draft.c batch_slot.c batch_step.c
core.core.engine := 1
