"""Teachers (IDCM's ETM): expensive scores of a query and a window, one teacher a file."""

from rankprompt.cascade.teachers.likelihood import LikelihoodTeacher

__all__ = ["LikelihoodTeacher"]
