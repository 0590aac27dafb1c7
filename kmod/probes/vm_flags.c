// SPDX-License-Identifier: GPL-2.0-only
/* A mapping's flags are changed by functions. */
#include <linux/mm.h>
void set(struct vm_area_struct *vma);
void set(struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_IO);
}
