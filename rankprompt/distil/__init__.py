"""Distillation: a small judge that learns a large one's preferences.

config: what is learnt from whom. pairs: what the teacher prefers, from a journal or asked anew.
states: what the student sees. head_training: the fit. job: all of it, from files to a folder.
"""
