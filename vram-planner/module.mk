# SPDX-License-Identifier: MIT
# Whether a model fits, and what goes where: pure functions from a model's header and the devices' facts.
vram-planner.uses := probe base
vram-planner.lib := \
	ask.c \
	backends.c \
	bill.c \
	cost.c \
	engine.c \
	explain.c \
	gguf.c \
	graph.c \
	graph_ops.c \
	job.c \
	job_answer.c \
	jobs.c \
	load.c \
	mamba.c \
	margin.c \
	model.c \
	oldfamilies.c \
	oldrefusals.c \
	places.c \
	plan.c \
	quants.c \
	reader.c \
	search.c \
	split.c \
	states.c \
	wish.c \

vram-planner.programs := plan
vram-planner.plan.src := main.c
