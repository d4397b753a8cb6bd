#!/bin/bash
#SBATCH --job-name=mosaicd-embed
#SBATCH --array=1-64
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --requeue
# One part for each task of the array; ARTWORKS, PARTS and CONFIG are folders and a file that every node sees:
#   sbatch --export=ALL,ARTWORKS=/mnt/art,PARTS=/mnt/parts,CONFIG=/mnt/mosaicd.toml tests/scale/slurm.sh
# A task that was ended is queued again and continues where it was. When all have ended, on the server with the service stopped:
#   mosaicd --config /etc/mosaicd/mosaicd.toml import /mnt/parts/*/
set -euo pipefail
: "${ARTWORKS:?}" "${PARTS:?}" "${CONFIG:?}"
part=$SLURM_ARRAY_TASK_ID
mkdir -p "$PARTS"
exec mosaicd --config "$CONFIG" --artworks "$ARTWORKS" embed --part "$part/$SLURM_ARRAY_TASK_COUNT" --out "$PARTS/$part"
