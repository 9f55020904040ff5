"""The vLLM back end: a language model in vLLM's engine, in this process (docs/vllm.md).

settings: what the user may say of the engine. model_folder: what the model's files tell before the
engine starts. scoring: options as prompts whose log-probabilities vLLM lists. engine: vLLM itself,
imported only there. model: the language model.
"""
