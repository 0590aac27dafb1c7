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
lab.same("at last there is one again", after, before)
