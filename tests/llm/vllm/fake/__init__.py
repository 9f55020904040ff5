"""A folder for the search path, with a package named vllm."""
