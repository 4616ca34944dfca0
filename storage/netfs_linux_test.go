package storage

import "testing"

// TestKindOfMagic has the numbers as the kernel's headers write them.
func TestKindOfMagic(t *testing.T) {
	t.Parallel()
	for magic, want := range map[uint32]string{
		0x6969: "NFS", 0x517b: "SMB", 0xff534d42: "SMB/CIFS", 0xfe534d42: "SMB/CIFS", 0x5346414f: "AFS", 0x6b414653: "AFS",
		0x73757245: "Coda", 0x564c: "NCP", 0x00c36400: "CephFS", 0x0bd00bd0: "Lustre",
		// Local, or not to be told from what is.
		0xef53: "", 0x58465342: "", 0x9123683e: "", 0x2fc12fc1: "", 0x01021994: "", 0x794c7630: "", 0x65735546: "", 0x01021997: "", 0: "",
	} {
		if got := kindOfMagic(magic); got != want {
			t.Errorf("%#x is %q, want %q", magic, got, want)
		}
	}
}
