"""The entry of the component: what is to be done is in tree.py, which any Python runs."""

import tree
from wit_world import exports


class Run(exports.Run):
    def run(self) -> None:
        tree.main()
