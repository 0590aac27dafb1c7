"""What the verbs say to programs."""
import lab

lab.valid("the list keeps its schema", "device_list", "list.json")
lab.valid("the list with a setting for good keeps it, too", "device_list", "persists.json")
at_start = {d["pci"]: d["at_start"] for d in lab.load("persists.json")["devices"]}
lab.same("it tells what is so at every start", {a: v for a, v in at_start.items() if v}, {"0000:02:00.0": "vfio-pci"})
lab.valid("the journal keeps its schema", "device", "journal.json")
