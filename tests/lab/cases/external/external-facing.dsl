// SPDX-License-Identifier: MIT
// What a laptop's firmware says of its Thunderbolt port: QEMU's own root port in slot 1 (\_SB.PCI0.S08) leads
// out of the case. Extends QEMU's object; a second one with the same _ADR would be ignored.
DefinitionBlock ("", "SSDT", 2, "BERTH", "EXTFACE", 1) {
	External (\_SB.PCI0, DeviceObj)
	External (\_SB.PCI0.S08, DeviceObj)
	Scope (\_SB.PCI0.S08) {
		Name (_DSD, Package () {
			ToUUID ("efcc06cc-73ac-4bc3-bff0-76143807c389"),
			Package () { Package () { "ExternalFacingPort", 1 }, Package () { "UID", 0 } },
			ToUUID ("6211e2c0-58a3-4af3-90e1-927a4e0c55a4"),
			Package () { Package () { "HotPlugSupportInD3", 1 } }
		})
	}
}
