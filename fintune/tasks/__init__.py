"""What is asked and how an answer is read and scored: one file a task, the registry TASKS, metrics, baselines.

>>> task = TASKS["sentiment"].build(TASKS["sentiment"].options(language="zh"))
"""

from fintune.runtime.registry import Registry
from fintune.tasks.classification import CLASSIFICATION, SENTIMENT
from fintune.tasks.protocol import Task, TaskEntry, TaskOptions
from fintune.tasks.regression import REGRESSION

TASKS = Registry[TaskEntry]([CLASSIFICATION, SENTIMENT, REGRESSION])

__all__ = ["TASKS", "Task", "TaskEntry", "TaskOptions"]
