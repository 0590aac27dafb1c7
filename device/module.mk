# SPDX-License-Identifier: MIT
# Manages the hardware: the only program that changes the machine.
device.uses := probe base kmod
device.lib := \
	act.c \
	agent.c \
	agent_pci.c \
	agent_run.c \
	authorise.c \
	bars.c \
	bind.c \
	bind_steps.c \
	boxes.c \
	caps.c \
	eject.c \
	elevate.c \
	elsewhere.c \
	guard.c \
	hand.c \
	hand_live.c \
	helper_words.c \
	journal.c \
	journal_parse.c \
	journal_verb.c \
	let_go.c \
	lines.c \
	list.c \
	list_asks.c \
	marked.c \
	modules.c \
	now.c \
	options.c \
	overlay.c \
	pci_differs.c \
	persist.c \
	port.c \
	power.c \
	power_agent.c \
	power_show.c \
	profiles.c \
	reason.c \
	rebar.c \
	recover.c \
	rescan.c \
	reset.c \
	run.c \
	scene.c \
	scene_funcs.c \
	scene_holds.c \
	scene_maps.c \
	scene_nodes.c \
	scene_procs.c \
	scene_runs.c \
	show.c \
	sleep.c \
	src_bolt.c \
	step.c \
	step_json.c \
	tb.c \
	undo.c \
	undo_guard.c \
	verbs.c \
	wake.c \
	windows.c \

# For boltd; without it boxes are let in through sysfs.
device.wants := libsystemd
device.programs := device device-helper
device.device.src := main.c
# What pkexec starts as root
device.device-helper.src := helper.c
