"""The prompts that come with rankprompt, one TOML file each."""
