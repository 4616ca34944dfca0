package campaign

// Limits bound what a recipients file may cost. A zero field means its
// default.
type Limits struct {
	MaxBytes       int64 // whole file, as stored; default 2 GiB
	MaxRows        int64 // data rows; default 5,000,000
	MaxColumns     int   // columns in the header; default 1,000
	MaxFieldBytes  int   // one cell, as UTF-8; default 64 KiB
	MaxRecordBytes int   // one record, as UTF-8, all its lines together; default 1 MiB
}

func (l Limits) withDefaults() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = 2 << 30
	}
	if l.MaxRows <= 0 {
		l.MaxRows = 5_000_000
	}
	if l.MaxColumns <= 0 {
		l.MaxColumns = 1000
	}
	if l.MaxFieldBytes <= 0 {
		l.MaxFieldBytes = 64 << 10
	}
	if l.MaxRecordBytes <= 0 {
		l.MaxRecordBytes = 1 << 20
	}
	return l
}
