"""Prompts: templates, the files that hold them, and the prompts that come with rankprompt."""
