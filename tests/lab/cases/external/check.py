"""A GPU that the kernel calls removable is outside the case."""
import lab

OUT, IN = "0000:01:00.0", "0000:02:00.0"
gpus = lab.gpus("probe.json")

lab.same("both are listed", list(gpus), [OUT, IN])
lab.same("the kernel's word", (gpus[OUT]["removable"], gpus[OUT]["removable_src"]), ("removable", "sysfs"))
lab.same("of the other it says nothing like it", gpus[IN]["removable"] in (None, "fixed", "unknown"), True)
lab.same("one is external", [g["tunnel"]["external"] for g in gpus.values()], [True, False])
lab.same("that is no proof of a tunnel", [g["tunnel"]["tunnelled"] for g in gpus.values()], [False, False])
lab.replays("the capture shows the same on the host", "capture", "captured.json")
