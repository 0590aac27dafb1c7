# The core's server against Debian's llama-server over the same libllama, and the supervisor against no supervisor:
# peer/root.sh brings them, peer/serve.py takes the runs and compares.
set -u
: "${BUILD:=build}"
why=$(sh tests/bench/peer/root.sh "$BUILD/bench")
case $? in
0) ;;
77) echo "serve: no llama-server to compare with: $why" ;;
*) exit 1 ;;
esac
exec python3 tests/bench/peer/serve.py "$BUILD"
