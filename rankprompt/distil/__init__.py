"""Distillation: a small judge that learns a large one's preferences.

config: what is learnt from whom. pairs: what the teacher prefers, from a journal or asked anew.
states: what a head's student sees. head_training: the fit. job: all of it, from files to a folder.
lora_lessons, lora_batches, lora_training, lora_job: likewise of an adapter that is trained.
"""
