"""How each user of a PASID behaves: pure state machines, one actor per file or package."""
