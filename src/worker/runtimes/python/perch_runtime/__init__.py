# What runs inside the sandbox of a Python function. A package, so that a function may have modules named `log` or
# `context` of its own. It shares its process with the function's code, which is hostile: nothing here protects the
# platform. The agent checks every frame, and everything else is the sandbox's task.
