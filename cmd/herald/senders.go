package main

import "github.com/spf13/cobra"

func (t *terminal) sendersCommand(load loader) *cobra.Command { return &cobra.Command{Use: "senders"} }
