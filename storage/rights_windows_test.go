package storage_test

func dropRights() error { return nil }
