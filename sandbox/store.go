package sandbox

// chunkSize is how many jobs are allocated, and forgotten, together.
const chunkSize = 1024

// store keeps jobs by sequence number, oldest first, in chunks: no pointer and
// no map entry per job.
type store struct {
	chunks []*[chunkSize]job
	first  uint64 // seq of chunks[0][0]
	next   uint64 // seq of the next job
	keep   int    // jobs to keep, a multiple of chunkSize
}

func newStore(keep int) store {
	return store{keep: (keep + chunkSize - 1) / chunkSize * chunkSize}
}

// add makes room for one job and returns it with its number, and the chunk
// that had to be forgotten for it, if any.
func (s *store) add() (*job, *[chunkSize]job) {
	at := int((s.next - s.first) / chunkSize) //nolint:gosec // bounded by keep
	var dropped *[chunkSize]job
	if at == len(s.chunks) {
		if len(s.chunks)*chunkSize >= s.keep {
			dropped = s.chunks[0]
			s.chunks[0] = nil
			s.chunks = s.chunks[1:]
			s.first += chunkSize
			at--
		}
		s.chunks = append(s.chunks, new([chunkSize]job))
	}
	j := &s.chunks[at][(s.next-s.first)%chunkSize]
	j.seq = s.next
	s.next++
	return j, dropped
}

// at returns job seq, or nil if it was never there or is forgotten.
func (s *store) at(seq uint64) *job {
	if seq < s.first || seq >= s.next {
		return nil
	}
	i := seq - s.first
	j := &s.chunks[i/chunkSize][i%chunkSize]
	if j.line == nil {
		return nil // a number skipped by a reset
	}
	return j
}

// clear forgets all jobs and goes on counting, at a chunk's edge.
func (s *store) clear() {
	s.chunks = nil
	s.next = (s.next + chunkSize - 1) / chunkSize * chunkSize
	s.first = s.next
}
