# SPDX-License-Identifier: MIT
# Gives a device to a virtual machine over vfio-user.
bar-forward.uses := probe base
bar-forward.lib := cfg.c cfg_caps.c irqs.c maps.c policy.c session.c session_access.c session_dma.c stream.c wire.c wire_reply.c
