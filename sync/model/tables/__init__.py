"""The tables of ispyb-sync.toml: settings that belong to one part of the tool."""
