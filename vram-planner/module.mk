# Whether a model fits, and what goes where: pure functions from a model's header and the devices' facts.
vram-planner.uses := base probe
vram-planner.lib := backends.c cost.c families.c gguf.c model.c quants.c refusals.c
