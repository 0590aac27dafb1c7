#!/bin/sh
# SPDX-License-Identifier: MIT
# berth top --json of moments made at random, hostile texts and numbers among them, held to its schema.
. tests/lib.sh
exits "random moments" 0 python3 tests/states.py "$BUILD/tests/fake/prog_top_states" "${STATES_SEED:-1}" 2000
tail -n 1 "$T/out"
finish
