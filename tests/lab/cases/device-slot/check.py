"""The journal of all that went wrong."""
import lab

lab.valid("the journal keeps its schema", "device", "journal.json")
