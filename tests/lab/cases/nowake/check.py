"""What the probe tells of a GPU that it let sleep."""
import lab

SLEEPER, OTHER = "0000:01:00.0", "0000:00:02.0"
gpus = lab.gpus("probe.json")

lab.same("both are listed", sorted(gpus), [OTHER, SLEEPER])
lab.same("the sleeper is known to sleep", gpus[SLEEPER]["awake"], False)
lab.same("the other is awake", gpus[OTHER]["awake"], True)
lab.same("ids are known all the same", (gpus[SLEEPER]["vendor"], gpus[SLEEPER]["device"]), ("0x1af4", "0x1050"))
lab.same("and the driver", gpus[SLEEPER]["driver"], "vfio-pci")
lab.replays("the capture shows the same on the host", "capture", "captured.json")
