# SPDX-License-Identifier: MIT
# Gives a device to a virtual machine over vfio-user.
bar-forward.uses := probe base
bar-forward.lib := cfg.c cfg_caps.c irqs.c maps.c policy.c session.c session_access.c session_dma.c stream.c wire.c wire_reply.c

# The device of memory, and the files that describe one.
bar-forward.lib += \
	dev_memory.c \
	memdma.c \
	memfault.c \
	memirq.c \
	memregs.c \
	memrom.c \
	memstate.c \
	pcidesc.c \
	pcidesc_caps.c \
	pcidesc_json.c \
	pcidesc_regs.c \
	pcispace.c \
