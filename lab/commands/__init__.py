"""What the commands do, by what they are about; ``lab.cli`` only reads their options."""
