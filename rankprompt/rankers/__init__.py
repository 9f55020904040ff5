"""Ranking algorithms, one algorithm a file, named as in its paper, and their registry."""

from rankprompt.rankers.allpair import allpair
from rankprompt.rankers.base import Method, Ranker, RankerSettings
from rankprompt.rankers.bradley_terry import bradley_terry
from rankprompt.rankers.heapsort import heapsort
from rankprompt.rankers.listwise import listwise
from rankprompt.rankers.pipelined_sliding import pipelined
from rankprompt.rankers.pointwise import pointwise
from rankprompt.rankers.prp_graph import prp_graph
from rankprompt.rankers.quickselect import quickselect
from rankprompt.rankers.registry import METHODS, PAIRWISE, method
from rankprompt.rankers.setwise_bubblesort import setwise_bubblesort
from rankprompt.rankers.setwise_heapsort import setwise_heapsort
from rankprompt.rankers.setwise_insertion import setwise_insertion
from rankprompt.rankers.sliding import sliding
from rankprompt.rankers.stages import stages
from rankprompt.rankers.tourrank import tourrank

__all__ = [
    "METHODS",
    "PAIRWISE",
    "Method",
    "Ranker",
    "RankerSettings",
    "allpair",
    "bradley_terry",
    "heapsort",
    "listwise",
    "method",
    "pipelined",
    "pointwise",
    "prp_graph",
    "quickselect",
    "setwise_bubblesort",
    "setwise_heapsort",
    "setwise_insertion",
    "sliding",
    "stages",
    "tourrank",
]
