"""The cloud as one served project sees it: its lists, member rows, calls and jobs."""
