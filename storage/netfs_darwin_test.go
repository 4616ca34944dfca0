package storage

import "testing"

func TestKindOfName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"nfs": "NFS", "smbfs": "SMB/CIFS", "afpfs": "AFP", "webdav": "WebDAV", "ftp": "FTP",
		"apfs": "", "hfs": "", "exfat": "", "": "",
	} {
		if got := kindOfName(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
