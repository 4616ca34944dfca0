package storage

import "golang.org/x/sys/unix"

// networkKind names the network file system that the folder is on; "" for any
// other.
func networkKind(dir string) (string, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return "", err
	}
	return kindOfName(unix.ByteSliceToString(stat.Fstypename[:])), nil
}

// kindOfName names the network file system that statfs(2) calls by the name of
// its mount_* program; "" for any other.
func kindOfName(name string) string {
	switch name {
	case "nfs": // mount_nfs(8)
		return "NFS"
	case "smbfs": // mount_smbfs(8)
		return "SMB/CIFS"
	case "afpfs": // mount_afp(8)
		return "AFP"
	case "webdav": // mount_webdav(8)
		return "WebDAV"
	case "ftp": // mount_ftp(8)
		return "FTP"
	}
	return ""
}
