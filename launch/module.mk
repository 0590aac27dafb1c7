# SPDX-License-Identifier: MIT
# Plans, starts the core exactly so, proves the placement, and reports how it ended.
launch.uses     := vram-planner probe base
launch.lib      := backends.c cores.c cpus.c devmap.c ending.c profile.c proof.c tail.c verify.c wire.c
launch.programs := launch
launch.launch.src := main.c answer.c child.c prepare.c runtime.c supervise.c
