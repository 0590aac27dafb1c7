"""A description of a device less its capabilities of one kind, from standard input to standard output: without.py KIND."""
import json
import sys

device = json.load(sys.stdin)
device["capabilities"] = [c for c in device["capabilities"] if c["kind"] != sys.argv[1]]
json.dump(device, sys.stdout, indent=2)
