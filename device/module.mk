# SPDX-License-Identifier: MIT
# Manages the hardware: the only program that changes the machine.
device.uses := probe base
device.lib := \
	agent.c \
	marked.c \
	step.c \

device.programs := device
device.device.src := main.c options.c verbs.c
