"""A GPU on its way to vfio-pci and back."""
import lab

GPU, OTHER = "0000:01:00.0", "0000:00:02.0"
before, kept, bound, back = (lab.gpus(f"{n}.json") for n in ("before", "kept", "bound", "back"))

lab.same("at first its own driver has it", before[GPU]["driver"], "virtio-pci")
lab.same("then none", (kept[GPU]["driver"], kept[GPU]["driver_why"]), (None, "no driver"))
lab.same("and the note says why", kept[GPU]["driver_note"], "driver_override keeps it for vfio-pci")
lab.same("then vfio-pci", bound[GPU]["driver"], "vfio-pci")
lab.same("which is said to be for a virtual machine", bound[GPU]["driver_note"], "held for a virtual machine")
lab.same("it cannot compute here", bound[GPU]["can_compute"], False)
lab.same("its DRM nodes are gone", (bound[GPU]["drm_card"], bound[GPU]["drm_render"]), (None, None))
lab.same("its group is the kernel's", bound[GPU]["iommu_group"], int(lab.text("group")))
lab.same("and has a file in /dev/vfio", lab.text("group").strip() in lab.text("vfio").split(), True)
lab.same("which is named", bound[GPU]["vfio"], "/dev/vfio/" + lab.text("group").strip())
lab.same("it is ready for a virtual machine", (bound[GPU]["place"]["passthrough_ready"], bound[GPU]["driver_override"]),
         (True, "vfio-pci"))
lab.same("the other GPU is as it was", bound[OTHER], before[OTHER])
lab.same("it comes back", back[GPU]["driver"], "virtio-pci")
lab.same("with its nodes", bool(back[GPU]["drm_card"] and back[GPU]["drm_render"]), True)
lab.replays("the capture shows the same on the host", "capture", "captured.json")
