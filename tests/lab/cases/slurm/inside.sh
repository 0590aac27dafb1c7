#!/bin/sh
# In the private root: Slurm is started, and berth submits to it.
set -u
cd /tmp/berth || exit 1
PATH=$PATH:/tmp/berth/berth/bin
export BERTH_RUNTIME_DIR=/tmp/berth/run BERTH_STATE_DIR=/tmp/berth/state FAKE_CORE=/tmp/berth/core FAKE_DEVICES=/tmp/berth/devices
mkdir -m 700 run state
echo 'Vulkan0@0000:3b:00.0 Vulkan1@0000:af:00.0 Vulkan2@0000:d8:00.0' >devices
echo serve >core
model="it's a model.gguf"

is() {
	if [ "$2" = "$3" ]; then echo "ok $1"; else echo "FAIL $1: '$3', not '$2'"; fi
}
# has NAME PATTERN FILE
has() {
	if grep -q -e "$2" "$3"; then echo "ok $1"; else echo "FAIL $1: no '$2' in: $(tail -n 5 "$3" | tr '\n' '|')"; fi
}
# comes NAME WANT COMMAND...: its output becomes that
comes() {
	name=$1 want=$2 tries=0
	shift 2
	until [ "$("$@" 2>&1)" = "$want" ] || [ $tries -gt 600 ]; do
		tries=$((tries + 1))
		sleep 0.1
	done
	is "$name" "$want" "$("$@" 2>&1)"
}
# submit ARGUMENTS...: the job's number in $job
submit() {
	berth launch "$model" --slurm "$@" >out 2>err
	rc=$?
	job=$(cat out)
}
state() {
	squeue -h -j "$1" -o '%T %r'
}
cores() {
	ls core.[0-9]* 2>/dev/null | wc -l
}

# --- Slurm, by the lines that the probe writes ---
berth probe --format slurm >/etc/slurm/gres.conf
card=$(sed -n 's/^Name=gpu Type=\([a-z0-9_]*\) .*0000:3b:00.0$/\1/p' /etc/slurm/gres.conf)
other=$(sed -n 's/^Name=gpu Type=\([a-z0-9_]*\) .*0000:af:00.0$/\1/p' /etc/slurm/gres.conf)
sed -i "s/@GRES@/gpu:$card:2,gpu:$other:1/" /etc/slurm/slurm.conf
munged --force 2>munged.log
slurmctld 2>slurmctld.log
slurmd 2>slurmd.log
comes "Slurm takes the lines of the probe" "idle gpu:$card:2,gpu:$other:1" sh -c 'sinfo -h -N -o "%T %G" | sed "s/(S:[0-9,-]*)//g"'
sinfo -h -o %T | grep -q idle || { tail -n 20 /var/log/slurmd.log /var/log/slurmctld.log; exit 1; }

# --- what was planned is granted ---
submit --device af:00.0,3b:00.0 --split 4,5 --prompt 'a $(b) "c"' --sbatch wait
is "a job of two cards" 0 "$rc"
has "is proven in the job" "placement proven: 8 layers and the output" "berth-$job.log"
is "by a core that was told the prompt" 'a $(b) "c"' "$(python3 -c 'import json; a=json.load(open("core.1"))["argv"]; print(a[a.index("--prompt") + 1])')"
is "and leaves nothing behind" "" "$(ls run)"

# --- a card that is in use ---
submit --device af:00.0,3b:00.0 --split 4,5 --name first --listen unix:/tmp/berth/s --no-key
first=$job
is "a server is submitted" 0 "$rc"
has "and it is said how to follow it" "squeue -j $first" err
comes "it serves" 1 sh -c 'berth ps | grep -c "^first *ready"'
submit --device af:00.0 --prompt x
second=$job
comes "a second job for its card waits" "PENDING Resources" state "$second"
scancel "$first"
comes "cancelled, the first one ends" "" sh -c "squeue -h -j $first 2>/dev/null"
comes "the second one runs to its end" "COMPLETED 0:0" sh -c "scontrol -o show job $second | sed 's/.*JobState=\([A-Z]*\) .*ExitCode=\([0-9:]*\) .*/\1 \2/'"
has "and is proven" "placement proven" "berth-$second.log"
is "no core is left of the first" 0 "$(grep -l "^/tmp/berth/berth/libexec/berth/core" /proc/[0-9]*/cmdline 2>/dev/null | wc -l)"
is "nor its runtime files" "" "$(ls run)"

# --- the wrong one of two equal cards ---
before=$(cores)
submit --device d8:00.0 --prompt x --sbatch wait
is "an equal card instead of the planned one" 7 "$rc"
has "is warned of before" "cannot tell 1 other GPU" err
has "and named in the job" "the plan is for 0000:d8:00.0, and Slurm granted 0000:3b:00.0, which is of the same type" "berth-$job.log"
is "before anything is loaded" "$before" "$(cores)"

# --- what Slurm refuses ---
submit --device 3b:00.0 --sbatch partition=zork
is "no such partition" 5 "$rc"
has "in Slurm's words" "Slurm refuses the job: .*artition" err
berth plan "$model" --device 3b:00.0 --machine /tmp/berth/machine --json >plan.json 2>/dev/null
sed -i 's/0000:3b:00.0/0000:01:00.0/; s/"name": "[^"]*Radeon[^"]*"/"name": "NVIDIA GeForce RTX 4090"/' plan.json
berth launch --slurm --plan plan.json >out 2>err
is "GPUs that no node has" 5 $?
has "with what to do" "sinfo -N\|berth probe --format slurm" err
