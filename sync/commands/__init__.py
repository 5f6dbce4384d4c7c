"""The commands of the command line; each module adds its own to `sync.commands.app`."""
