# SPDX-License-Identifier: MIT
# Whether a model fits, and what goes where: pure functions from a model's header and the devices' facts.
vram-planner.uses := probe base
vram-planner.lib := \
	ask.c \
	attn.c \
	backends.c \
	beside.c \
	bill.c \
	bound.c \
	build.c \
	builders.c \
	cache.c \
	calibrate.c \
	calibration.c \
	cards.c \
	clip.c \
	compute.c \
	cuda_keeps.c \
	core_run.c \
	delta.c \
	dense.c \
	devices.c \
	download.c \
	engine.c \
	explain.c \
	extras.c \
	families.c \
	ffn.c \
	fill.c \
	galloc.c \
	gguf.c \
	gguf_write.c \
	gpus.c \
	graph.c \
	graph_bert.c \
	graph_deepseek2.c \
	graph_deepseek4.c \
	graph_deepseek4_attn.c \
	graph_gemma3n.c \
	graph_gemma4.c \
	graph_kimi.c \
	graph_lfm2.c \
	graph_mamba.c \
	graph_nemotron_h.c \
	graph_ops.c \
	graph_qwen3next.c \
	graph_routed.c \
	graph_rwkv7.c \
	gsched.c \
	header_cache.c \
	hf_build.c \
	hf_config.c \
	hf_names.c \
	http.c \
	job.c \
	job_answer.c \
	jobs.c \
	keeps.c \
	lens.c \
	load.c \
	mamba.c \
	manifest.c \
	margin.c \
	mix.c \
	mla.c \
	model.c \
	moe.c \
	nearest.c \
	options.c \
	override.c \
	per_layer.c \
	placement.c \
	places.c \
	plan.c \
	quant_name.c \
	quants.c \
	reader.c \
	refusal.c \
	remote.c \
	safetensors.c \
	savings.c \
	search.c \
	shape.c \
	shape_check.c \
	shape_keys.c \
	shape_layers.c \
	side.c \
	slots.c \
	source.c \
	sparse.c \
	speed.c \
	speed_show.c \
	split.c \
	states.c \
	stores.c \
	supports.c \
	task.c \
	terms.c \
	traffic.c \
	trim.c \
	verify.c \
	verify_run.c \
	vulkan.c \
	vulkan_order.c \
	wish.c \
	words.c \

# For models behind a URL; files need none of it.
vram-planner.wants := libcurl

vram-planner.programs := plan pull
vram-planner.plan.src := answer.c compare.c elsewhere.c extras_open.c main.c
vram-planner.pull.src := pull.c
