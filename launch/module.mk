# SPDX-License-Identifier: MIT
# Plans, starts the core exactly so, proves the placement, and reports how it ended.
launch.uses     := vram-planner probe base
launch.lib      := backends.c busy.c cores.c cpus.c devmap.c ending.c gres.c gres_grant.c ledger.c logfile.c memory.c narrow.c oom.c policy.c \
	powerwish.c profile.c proof.c runs.c slurm.c tail.c unit.c verify.c wire.c
launch.programs := launch
launch.launch.src := main.c answer.c check.c child.c detach.c find.c grant.c hear.c loss.c notify.c options.c power.c prepare.c remedy.c \
	runtime.c sbatch.c serve.c serve_run.c serve_watch.c signals.c state.c submit.c supervise.c \
	unit_verb.c verbs.c witness.c
# Commands of the same program, which goes by the name it is called
launch.launch.also := ps stop restart logs unit
