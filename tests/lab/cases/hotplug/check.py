"""GPUs that come, change their driver and go."""
import lab

GPU, ROOMLESS, OTHER = "0000:01:00.0", "0000:02:00.0", "0000:00:02.0"
before, plugged, rebound, roomless, after = (
    lab.gpus(f"{n}.json") for n in ("before", "plugged", "rebound", "roomless", "after"))

lab.same("at first there is one", list(before), [OTHER])
lab.same("then there are two", list(plugged), [OTHER, GPU])
lab.same("the new one works", plugged[GPU]["driver"], "bochs-drm")
lab.same("then it is held for a virtual machine", rebound[GPU]["driver"], "vfio-pci")
lab.same("then there are three", list(roomless), [OTHER, GPU, ROOMLESS])
lab.same("the third has no driver", (roomless[ROOMLESS]["driver"], roomless[ROOMLESS]["driver_why"]), (None, "no driver"))
# Linux 6.1 and 6.12 forget a BAR for which they find no room: then only their log tells why.
memory = [b for b in roomless[ROOMLESS]["bars"] if b["index"] == 0]
lab.same("for want of an address", [b["address"] for b in memory if not b["unassigned"]], [])
lab.valid("doctor's JSON keeps its schema", "doctor", "doctor.json")
found = [(f["id"], f["device"]) for f in lab.load("doctor.json")["findings"] if f["severity"] == "error"]
lab.same("doctor knows why, of the one without room alone", found,
         [("bar-unassigned" if memory else "bar-forgotten", ROOMLESS)])
lab.same("and doctor bar has no calm word for it", "nothing to do" in lab.text("bar.txt"), False)
lab.same("at last there is one again", after, before)

lab.valid_lines("the watcher's lines keep their schema", "watch", "watch.jsonl")
# A driver that lights a display up may make the kernel tell of changes too.
told = [(e["event"], e["pci"], e["driver"]) for e in lab.lines("watch.jsonl") if e["event"] != "change"]
lab.same("the watcher has told all, in order", told, [
    ("appear", GPU, None), ("bind", GPU, "bochs-drm"), ("unbind", GPU, "bochs-drm"), ("bind", GPU, "vfio-pci"),
    ("appear", ROOMLESS, None), ("unbind", GPU, "vfio-pci"), ("vanish", GPU, None), ("vanish", ROOMLESS, None)])
