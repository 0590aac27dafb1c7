# SPDX-License-Identifier: MIT
# Gives a device to a virtual machine over vfio-user.
bar-forward.uses := probe base kmod
bar-forward.pkgs := libseccomp
bar-forward.lib := \
	ask.c \
	attach.c \
	backends.c \
	cfg.c \
	cfg_caps.c \
	collect.c \
	control.c \
	counted.c \
	crew.c \
	dev_kmod.c \
	dev_memory.c \
	dev_replay.c \
	dev_vfio.c \
	doubt.c \
	grants.c \
	guest.c \
	heat.c \
	holder.c \
	irqrelay.c \
	irqs.c \
	list.c \
	maps.c \
	memdma.c \
	memfault.c \
	memirq.c \
	memregs.c \
	memrom.c \
	memstate.c \
	options.c \
	pcidesc.c \
	pcidesc_caps.c \
	pcidesc_json.c \
	pcidesc_regs.c \
	pcispace.c \
	policy.c \
	post.c \
	qmp.c \
	quirks.c \
	ready.c \
	ready_slot.c \
	recordverb.c \
	replay.c \
	replay_window.c \
	sandbox.c \
	serve.c \
	serve_each.c \
	serve_lost.c \
	serve_page.c \
	session.c \
	session_access.c \
	session_dma.c \
	session_trace.c \
	shape.c \
	spawn.c \
	status.c \
	stream.c \
	trace.c \
	tracealign.c \
	tracediff.c \
	tracefilter.c \
	traceread.c \
	traceshow.c \
	tracesteps.c \
	tracing.c \
	unplug.c \
	upgrade.c \
	verbs.c \
	vfio_info.c \
	vfio_iommufd.c \
	vfio_irq.c \
	vfio_maps.c \
	vfio_reset.c \
	vfio_seats.c \
	vfio_space.c \
	vfio_type1.c \
	whichbridge.c \
	wire.c \
	wire_reply.c \
	worker.c \

bar-forward.programs := bridge
bar-forward.bridge.src := main.c
