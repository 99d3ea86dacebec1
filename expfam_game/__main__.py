"""``python -m expfam_game`` is the command ``expfam-game``."""

from expfam_game.cli import main

if __name__ == "__main__":
    main()
