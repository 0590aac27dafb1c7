#!/bin/sh
# SPDX-License-Identifier: MIT
# berth launch --slurm with a fake sbatch and a fake srun: what is submitted, what is said, and what the job does with what
# it was granted, on a captured machine that is mounted as the live one. Slurm itself: tests/lab/cases/slurm.
. tests/lib.sh
. tests/live.sh
[ -x "$BUILD/libexec/berth/launch" ] || skip "launch was not built"
b=$T/b
mkdir -p "$b/bin" "$b/libexec/berth" "$T/path" "$T/run" "$T/conf"
cp "$BUILD/bin/berth" "$b/bin/"
for p in launch probe plan; do cp "$BUILD/libexec/berth/$p" "$b/libexec/berth/"; done
cp tests/fake/core.py "$b/libexec/berth/core"
chmod +x "$b/libexec/berth/core"
BERTH=$b/bin/berth
export BERTH_RUNTIME_DIR="$T/run" FAKE_CORE="$T/core" FAKE_DEVICES="$T/devices" PATH="$T/path:$PATH"
chmod 700 "$T/run"
echo serve >"$T/core"
model="$T/it's \$(id) \"m\".gguf"
"$BUILD/tests/modelgen/modelgen" -o "$model" || fail model "modelgen failed"
prepare twosocket
echo 'Vulkan0@0000:3b:00.0 Vulkan1@0000:af:00.0 Vulkan2@0000:d8:00.0' >"$T/devices"

is() {
	if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$3', not '$2': $(head -c 600 "$T/err")"; fi
}
# fake NAME: the program of that name, from stdin
fake() {
	cat >"$T/path/$1"
	chmod +x "$T/path/$1"
}
# bad NAME STATUS PATTERN ARGUMENTS...
bad() {
	name=$1 want=$2 pattern=$3
	shift 3
	inside "$name" "$want" "$BERTH" launch "$model" --slurm "$@"
	one_sentence "$name: one sentence"
	says "$name: says so" "$pattern"
	is "$name: nothing on stdout" "" "$(cat "$T/out")"
}

# What the cards are called, and so their types, depends on this system's list of PCI ids.
inside "gres.conf by the probe" 0 "$BERTH" probe --format slurm
cp "$T/out" "$T/conf/gres.conf"
type_of() {
	sed -n "s/^Name=gpu Type=\([a-z0-9_]*\) .*# $1\$/\1/p" "$T/conf/gres.conf"
}
card=$(type_of 0000:3b:00.0) other=$(type_of 0000:af:00.0)
is "equal cards have one type" "$card" "$(type_of 0000:d8:00.0)"

# --- the script ---
# without what differs from one machine, build or run to the next
plain() {
	sed -e "s|$T|/TMP|g" -e "/^{/,/^}/d" -e 's/--mem=[0-9]*M/--mem=NM/' -e 's/berth [0-9][0-9.]*[0-9]\. /berth VERSION. /' \
		-e "s/gpu:$card:/gpu:CARD:/; s/gpu:$other:/gpu:OTHER:/; s/--nodelist=.*/--nodelist=HOST/" -e 's/^\(#   0000:[0-9a-f:.]*\) .*,/\1,/'
}
inside "the script" 0 "$BERTH" launch "$model" --slurm --dry-run --device af:00.0,3b:00.0 --split 4,5 --prompt "it's
two \$(lines)" --seed 7 --sbatch partition=gpu --sbatch time=1:00:00
cp "$T/out" "$T/script"
plain <"$T/script" >"$T/plain"
golden slurm-script.txt "$T/plain"
sh -n "$T/script" && ok "a shell can read it" || fail "a shell can read it" "it cannot"
sed -n '/^{/,/^}/p' "$T/script" >"$T/plan.json"
valid "its plan" plan "$T/plan.json"
inside "a script of one that serves" 0 "$BERTH" launch "$model" --slurm --dry-run --device 3b:00.0 --name chat --listen 127.0.0.1:0 -c 512 -v
grep -q -- '--granted --serve --name chat --listen 127.0.0.1:0 --verbose$' "$T/out" && ok "its options are handed on" ||
	fail "its options are handed on" "$(tail -n 2 "$T/out")"
grep -q '^#SBATCH --job-name=berth-chat$' "$T/out" && ok "the job has its name" || fail "the job has its name" "$(head -n 3 "$T/out")"

# --- sbatch ---
bad "no sbatch" 5 "no sbatch in PATH" --device 3b:00.0
fake sbatch <<'END'
#!/bin/sh
[ "$*" = --parsable ] || exit 9
cat >"$T/submitted"
echo "sbatch: warning: half of the cores are idle" >&2
echo '4711;lab'
exit 7
END
export T
inside "submitted; its wait gives the job's own code" 7 "$BERTH" launch "$model" --slurm --device 3b:00.0
is "the number is the answer" 4711 "$(cat "$T/out")"
says "how to follow it" "squeue -j 4711.*scancel 4711"
says "where its log will be" "berth-4711.log"
says "Slurm's warning" "half of the cores are idle"
says "equal cards" "cannot tell 1 other GPU here"
grep -q "^#SBATCH --gres=gpu:$card:1\$" "$T/submitted" && ok "sbatch got the script" || fail "sbatch got the script" "$(head "$T/submitted")"
for row in 'Invalid generic resource (gres) specification|berth probe --format slurm' \
	'Requested node configuration is not available|sinfo -N' 'Invalid node name specified|--sbatch nodelist=NODE' \
	'Invalid account or account/partition|Slurm refuses the job: .*Invalid account'; do
	fake sbatch <<-END
		#!/bin/sh
		cat >/dev/null
		echo 'sbatch: error: Batch job submission failed: ${row%%|*}' >&2
		exit 1
	END
	bad "refused: ${row%%|*}" 5 "${row#*|}" --device 3b:00.0
done
fake sbatch <<'END'
#!/bin/sh
printf "sbatch: unrecognized option '--zork'\nTry \"sbatch --help\" for more information\n" >&2
exit 255
END
bad "an option that sbatch does not know" 5 "refuses the job: unrecognized option '--zork'" --sbatch zork --device 3b:00.0
fake sbatch <<'END'
#!/bin/sh
echo Submitted
END
bad "an answer that is no number" 5 "refuses the job: sbatch says nothing" --device 3b:00.0
bad "a device's option" 2 "gres is not yours to give" --sbatch gres=gpu:1
bad "a shell's character" 2 "cannot be in a script" --sbatch 'comment=a b'
bad "detached" 2 "in the background by itself" -d
bad "as JSON" 2 "prints the number" --json
bad "both ends at once" 2 "not for making it" --granted
inside "no fit is no job" 1 "$BERTH" launch "$model" --slurm --split 0 --device 3b:00.0 -c 1000000000 --accept gpu

# --- in the job ---
# Slurm's files, and what it would set: numbers follow the types of slurm.conf, not the lines of gres.conf
export SLURM_CONF="$T/conf/slurm.conf" SLURMD_NODENAME=node7 SLURM_JOB_ID=12
echo "NodeName=node[1-9] CPUs=32 Gres=gpu:$card:2,gpu:$other:1" >"$T/conf/slurm.conf"
fake srun <<'END'
#!/bin/sh
while [ "${1#--}" != "$1" ]; do shift; done
export SLURM_STEP_ID=0 SLURM_STEP_GPUS="$GRANT" CUDA_VISIBLE_DEVICES="$GRANT" ROCR_VISIBLE_DEVICES="$GRANT"
exec "$@"
END
# runs NAME STATUS GRANT
runs() {
	rm -f "$T"/core.*
	GRANT=$3
	export GRANT
	inside "$1" "$2" sh "$T/script"
}
runs "the devices that were planned" 0 0,2
says "are proven" "placement proven"
is "of several vendors: Slurm's numbers are not handed to the interfaces" none \
	"$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["env"].get("ROCR_VISIBLE_DEVICES", "none"))' "$T/core.1")"
runs "an equal card" 7 1,2
says "is told apart" "the plan is for 0000:3b:00.0, and Slurm granted 0000:d8:00.0, 0000:af:00.0, which is of the same type"
one_sentence "an equal card: one sentence"
[ -e "$T/core.1" ] && fail "nothing is loaded" "a core was started" || ok "nothing is loaded"
runs "another card" 7 0
says "another card: named" "the plan is for 0000:af:00.0.*, and Slurm granted 0000:3b:00.0"
runs "no card" 7 ""
says "no card: said" "Slurm granted no GPU"
runs "a number beyond all" 3 0,3
says "a number beyond all: said" "gres.conf lists 3"
runs "more than needed" 0 0,1,2
[ -z "$(ls "$T/run")" ] && ok "nothing is left in the runtime folder" || fail "nothing is left in the runtime folder" "$(ls "$T/run")"
export SLURM_JOB_GPUS=1
inside "a model, in a job" 0 "$BERTH" launch "$model" --granted --dry-run --json
is "is planned on what was granted" "['0000:d8:00.0']" "$(python3 -c 'import json,sys; print([d["pci"] for d in json.load(open(sys.argv[1]))["plan"]["devices"]])' "$T/out")"
inside "a device that was not granted" 7 "$BERTH" launch "$model" --granted --dry-run --device 3b:00.0
echo "Name=gpu Type=$card File=/dev/dri/renderD[128-" >"$T/conf/gres.conf"
SLURM_JOB_GPUS=0 inside "a file that no GPU has" 3 "$BERTH" launch "$model" --granted --dry-run
says "a file that no GPU has: named" "its GPU 0, /dev/dri/renderD.128- by gres.conf"
echo 'Name=gpu File=/dev/dri/renderD[9-1]' >"$T/conf/gres.conf"
inside "a gres.conf that is none" 4 "$BERTH" launch "$model" --granted --dry-run
one_sentence "a gres.conf that is none: one sentence"
says "a gres.conf that is none: named" "conf/gres.conf: File: \[9-1\] is no list of numbers"
rm "$T/conf/gres.conf"
inside "without a gres.conf" 0 "$BERTH" launch "$model" --granted --dry-run
says "the order is assumed, and said to be" "do not tell in which order"
unset SLURM_JOB_ID
inside "no job at all" 5 "$BERTH" launch "$model" --granted --dry-run
says "no job at all: said" "SLURM_JOB_ID is not set"
finish
