package storage

import "golang.org/x/sys/unix"

// networkKind names the network file system that the folder is on; "" for any
// other.
func networkKind(dir string) (string, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return "", err
	}
	return kindOfMagic(uint32(stat.Type)), nil //nolint:gosec,unconvert,nolintlint // 32 bits; its type differs by architecture
}

// kindOfMagic names the network file system that answers statfs(2) with the
// type; "" for any other. The numbers are those of linux/magic.h, but Lustre's.
//
// FUSE and 9p are not among them, although sshfs and the Windows drives of WSL
// are that: encrypted folders and the root of a gVisor container are too, and
// are local.
func kindOfMagic(magic uint32) string {
	switch magic {
	case unix.NFS_SUPER_MAGIC: // 0x6969, all versions
		return "NFS"
	case unix.SMB_SUPER_MAGIC: // 0x517b, smbfs, before Linux 2.6.37
		return "SMB"
	case unix.CIFS_SUPER_MAGIC, // 0xff534d42, SMB 1
		unix.SMB2_SUPER_MAGIC: // 0xfe534d42, SMB 2 and 3
		return "SMB/CIFS"
	case unix.AFS_SUPER_MAGIC, // 0x5346414f, OpenAFS
		unix.AFS_FS_MAGIC: // 0x6b414653, kAFS
		return "AFS"
	case unix.CODA_SUPER_MAGIC: // 0x73757245
		return "Coda"
	case unix.NCP_SUPER_MAGIC: // 0x564c, NetWare; statfs(2)
		return "NCP"
	case unix.CEPH_SUPER_MAGIC: // 0x00c36400
		return "CephFS"
	case lustreMagic:
		return "Lustre"
	}
	return ""
}

// lustreMagic is LL_SUPER_MAGIC of lustre_user.h.
const lustreMagic = 0x0bd00bd0
