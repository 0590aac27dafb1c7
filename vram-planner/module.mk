# SPDX-License-Identifier: MIT
# Whether a model fits, and what goes where: pure functions from a model's header and the devices' facts.
vram-planner.uses := probe base
vram-planner.lib := \
	ask.c \
	backends.c \
	cost.c \
	engine.c \
	explain.c \
	oldfamilies.c \
	gguf.c \
	graph.c \
	graph_ops.c \
	load.c \
	model.c \
	places.c \
	plan.c \
	quants.c \
	reader.c \
	oldrefusals.c \
	search.c \
	split.c \
	wish.c \

vram-planner.programs := plan
vram-planner.plan.src := main.c
